"""Answers that each exercise's check has to refuse: notebook → exercise → code that stands in for the stub."""

WRONG_ANSWERS: dict[str, dict[str, list[str]]] = {
    "01_problem_setup": {
        "take_apart": [
            "def take_apart(panoptic): return np.stack([panoptic % 1000, panoptic // 1000])",  # the wrong way round
            "def take_apart(panoptic): return np.stack([panoptic / 1000, panoptic % 1000])",  # no whole numbers
            "def take_apart(panoptic): return panoptic // 1000",  # half of it
            "def take_apart(panoptic):\n    panoptic //= 1000\n    return np.stack([panoptic, panoptic])",
        ],
        "shares": [
            "def shares(mask, num_classes): return np.bincount(mask.ravel(), minlength=256)[:num_classes] / mask.size",
            "def shares(mask, num_classes): return np.bincount(mask[mask != 255], minlength=num_classes)",  # counts
            "def shares(mask, num_classes): return np.ones(num_classes) / num_classes",
            "def shares(mask, num_classes): return [(mask == k).mean() for k in range(num_classes)]",  # void counted
        ],
        "upsample": [
            "def upsample(mask, factor): return np.tile(mask, (factor, factor))",  # copies side by side
            "def upsample(mask, factor): return mask.repeat(factor, axis=0)",  # one side only
            "def upsample(mask, factor):\n"
            "    scores = torch.tensor(mask)[None, None].float()\n"
            "    return interpolate(scores, scale_factor=factor, mode='bilinear')[0, 0].numpy().astype('uint8')",
        ],
    },
    "02_first_inference": {
        "to_batch": [
            "def to_batch(image): return ((image - mean[:, None, None]) / std[:, None, None])[None]",  # 0 to 255
            "def to_batch(image): return (image / 255 - mean[:, None, None]) / std[:, None, None]",  # no batch
            "def to_batch(image): return (image / 255 - mean[:, None, None])[None]",  # no deviation
            "def to_batch(image): return image[None] / 255",
            "def to_batch(image):\n"  # blue, green, red
            "    return ((image.flip(0) / 255 - mean[:, None, None]) / std[:, None, None])[None]",
        ],
        "drawable": [
            "def drawable(mask, background): return mask == torch.arange(21)[:, None, None]",  # all of them
            "def drawable(mask, background):\n"  # numbers
            "    wanted = [k for k in mask.unique() if k not in (background, 255)]\n"
            "    return (mask == torch.tensor(wanted)[:, None, None]).int()",
            "def drawable(mask, background):\n"  # 0 is always left out
            "    return mask == torch.tensor([k for k in mask.unique() if k not in (0, 255)])[:, None, None]",
            "def drawable(mask, background):\n"  # void is drawn
            "    return mask == torch.tensor([k for k in mask.unique() if k != background])[:, None, None]",
        ],
        "segment": [
            "def segment(image):\n"  # at the size of the network
            "    with torch.inference_mode():\n"
            "        return net(preprocess(image)[None].to(device))['out'].argmax(dim=1)[0]",
            "def segment(image): return mask_of(normalised(image)[None], image.shape[-2:])",  # not resized
            "def segment(image): return mask_of(F.resize(image, [model.short])[None] / 255, image.shape[-2:])",
            "def segment(image): return right(image.flip(0))",  # blue, green, red
            "def segment(image): return enlarged(image, Image.Resampling.BILINEAR)",  # ids are mixed
            "def segment(image): return right(photo)",  # always the same
        ],
    },
    "03_logits_to_masks": {
        "runner_up": [
            "def runner_up(scores): return scores.argmax(0)",  # the winner
            "def runner_up(scores): return np.argsort(scores, axis=0)[1]",  # second from below
            "def runner_up(scores): return np.sort(scores, axis=0)[-2]",  # its score, not its class
            "def runner_up(scores): return np.argsort(scores, axis=-1)[..., -2]",  # channels last
            "def runner_up(scores):\n"  # 0 is not low where scores are negative
            "    rivals = scores.copy()\n"
            "    np.put_along_axis(rivals, scores.argmax(0)[None], 0, axis=0)\n"
            "    return rivals.argmax(0)",
        ],
        "cut_out": [
            "def cut_out(image, mask, k, margin):\n"  # the last row and column are lost
            "    ys, xs = np.nonzero(mask == k)\n"
            "    top, left = max(ys.min() - margin, 0), max(xs.min() - margin, 0)\n"
            "    return image[:, top : ys.max() + margin, left : xs.max() + margin]",
            "def cut_out(image, mask, k, margin):\n"  # begins at −2
            "    ys, xs = np.nonzero(mask == k)\n"
            "    ends = ys.max() + 1 + margin, xs.max() + 1 + margin\n"
            "    return image[:, ys.min() - margin : ends[0], xs.min() - margin : ends[1]]",
            "def cut_out(image, mask, k, margin):\n"  # rows and columns mixed up
            "    xs, ys = np.nonzero(mask == k)\n"
            "    top, left = max(ys.min() - margin, 0), max(xs.min() - margin, 0)\n"
            "    return image[:, top : ys.max() + 1 + margin, left : xs.max() + 1 + margin]",
            "def cut_out(image, mask, k, margin): return image * (mask == k)",  # blackened, not cut
        ],
        "abstain": [
            "def abstain(probs, least): return np.where(probs.max(0) <= least, 255, probs.argmax(0))",  # more than
            "def abstain(probs, least): return np.where(probs.max(0) > least, 255, probs.argmax(0))",  # the other way
            "def abstain(probs, least): return np.where(probs.min(0) < least, 255, probs.argmax(0))",
            "def abstain(probs, least): return probs.argmax(0)",
            "def abstain(probs, least): return probs.argmax(0) * (probs.max(0) >= least)",  # doubt is no class 0
        ],
    },
    "04_measuring_quality": {
        "miou": [
            "def miou(table): return (np.diag(table) / (table.sum(0) + table.sum(1) - np.diag(table) + 1e-6)).mean()",
            "def miou(table): return np.diag(table).sum() / table.sum()",  # pixel accuracy
            "def miou(table): return np.nanmean(np.diag(table) / table.sum(1))",  # recall: false alarms are free
            "def miou(table):\n"  # classes of the target only
            "    hits, union = np.diag(table), table.sum(0) + table.sum(1) - np.diag(table)\n"
            "    return (hits / np.maximum(union, 1))[table.sum(1) > 0].mean()",
            "def miou(table): return np.nanmean(2 * np.diag(table) / (table.sum(0) + table.sum(1)))",  # Dice
        ],
        "paired": [
            "def paired(a, b, draws):\n"  # two intervals, subtracted
            "    both = [np.quantile([miou_of(m[d]) for d in draws], [0.025, 0.975]) for m in (a, b)]\n"
            "    return both[0] - both[1]",
            "def paired(a, b, draws):\n"  # other streets for the second model
            "    found = [miou_of(a[d]) - miou_of(b[e]) for d, e in zip(draws, draws[::-1])]\n"
            "    return np.quantile(found, [0.025, 0.975])",
            "def paired(a, b, draws):\n"  # the wrong way round
            "    return np.quantile([miou_of(b[d]) - miou_of(a[d]) for d in draws], [0.025, 0.975])",
            "def paired(a, b, draws):\n"  # all of them, not the middle 95 %
            "    found = [miou_of(a[d]) - miou_of(b[d]) for d in draws]\n"
            "    return np.array([min(found), max(found)])",
            "def paired(a, b, draws): return miou_of(a) - miou_of(b)",
        ],
        "images_needed": [
            "def images_needed(images, half_width, wanted): return int(np.ceil(images * half_width / wanted))",
            "def images_needed(images, half_width, wanted): return int(images * (half_width / wanted) ** 2)",
            "def images_needed(images, half_width, wanted): return images * (half_width / wanted) ** 2",
            "def images_needed(images, half_width, wanted): return int(np.ceil(images * (wanted / half_width) ** 2))",
        ],
    },
    "05_fcn": {
        "class_map": [
            "def class_map(features, weight, bias):\n"  # the verdict everywhere: its mean is right, its places are not
            "    said = features.mean((2, 3)) @ weight.T + bias\n"
            "    return said[..., None, None].expand(-1, -1, *features.shape[2:])",
            "def class_map(features, weight, bias): return torch.einsum('bchw,kc->bkhw', features, weight)",  # no bias
            "def class_map(features, weight, bias):\n"  # a share of the bias for each place
            "    places = features.shape[2] * features.shape[3]\n"
            "    return torch.einsum('bchw,kc->bkhw', features, weight) + bias[:, None, None] / places",
            "def class_map(features, weight, bias):\n"  # probabilities, not scores
            "    return (torch.einsum('bchw,kc->bkhw', features, weight) + bias[:, None, None]).softmax(1)",
            "def class_map(features, weight, bias): return features @ weight.T + bias",  # the last axis is the width
        ],
        "window": [
            "def window(layers): return 1 + sum(kernel - 1 for kernel, _, _ in layers)",  # no strides
            "def window(layers): return sum(kernel for kernel, _, _ in layers)",
            "def window(layers):\n"  # no dilation
            "    side, step = 1, 1\n"
            "    for kernel, stride, _ in layers:\n"
            "        side, step = side + (kernel - 1) * step, step * stride\n"
            "    return side",
            "def window(layers):\n"  # a stride widens its own layer
            "    side, step = 1, 1\n"
            "    for kernel, stride, dilation in layers:\n"
            "        step *= stride\n"
            "        side += (kernel - 1) * dilation * step\n"
            "    return side",
            "def window(layers):\n"  # dilation widens the layers after it
            "    side, step = 1, 1\n"
            "    for kernel, stride, dilation in layers:\n"
            "        side, step = side + (kernel - 1) * dilation * step, step * stride * dilation\n"
            "    return side",
        ],
    },
    "06_unet": {
        "inside": [
            "def u(x, level=0):\n"  # does not pool
            "    left = block(x, f'encoder.{level}')\n"
            "    return left if level == 4 else up(u(left, level + 1), left, f'decoder.{3 - level}')",
            "def u(x, level=0):\n"  # has no end
            "    left = block(x, f'encoder.{level}')\n"
            "    return up(u(F.max_pool2d(left, 2), level + 1), left, f'decoder.{3 - level}')",
            "def u(x, level=0):\n"  # the way up in the order of the way down
            "    left = block(x, f'encoder.{level}')\n"
            "    return left if level == 4 else up(u(F.max_pool2d(left, 2), level + 1), left, f'decoder.{level}')",
            "def u(x, level=0):\n"  # the pooled map goes across
            "    left = block(x, f'encoder.{level}')\n"
            "    if level == 4: return left\n"
            "    small = F.max_pool2d(left, 2)\n"
            "    return up(u(small, level + 1), small, f'decoder.{3 - level}')",
            "def u(x, level=0):\n"  # mean instead of maximum
            "    left = block(x, f'encoder.{level}')\n"
            "    return left if level == 4 else up(u(F.avg_pool2d(left, 2), level + 1), left, f'decoder.{3 - level}')",
            "def u(x, level=0): return by_hand(x)",  # logits, and always all of it
        ],
        "tile": [
            "def tile_for(wanted): return wanted + 184",  # whether or not it can be halved four times
            "def tile_for(wanted): return -(-(wanted + 184) // 16) * 16",  # multiples of 16: those need padding
            "def tile_for(wanted): return 188 + 16 * ((wanted - 4) // 16)",  # rounded down
            "def tile_for(wanted): return 188 + 16 * round((wanted - 4) / 16)",
            "def tile_for(wanted): return 572",
        ],
        "warp_mask": [
            "def warp_mask(mask, grid):\n"  # invents labels
            "    moved = F.grid_sample(mask[None, None].float() - 255, grid[None], align_corners=False)\n"
            "    return (moved[0, 0] + 255).byte()",
            "def warp_mask(mask, grid):\n"  # sky beyond the border
            "    moved = F.grid_sample(mask[None, None].float(), grid[None], mode='nearest', align_corners=False)\n"
            "    return moved[0, 0].byte()",
            "def warp_mask(mask, grid):\n"  # repeats the border
            "    moved = F.grid_sample(mask[None, None].float(), grid[None], mode='nearest', padding_mode='border',\n"
            "                          align_corners=False)\n"
            "    return moved[0, 0].byte()",
            "def warp_mask(mask, grid): return warp(mask.expand(3, -1, -1), grid)[0]",  # as an image
            "def warp_mask(mask, grid): return mask",
        ],
    },
    "07_losses": {
        "fair_weights": [
            "def fair_weights(pixels): return pixels.sum() / pixels",  # infinite where a class does not occur
            "def fair_weights(pixels): return 1 - pixels / pixels.sum()",  # rare ones count more, but not fairly
            "def fair_weights(pixels): return pixels.sum() / len(pixels) / np.maximum(pixels, 1)",  # absent ones count
            "def fair_weights(pixels): return (pixels > 0) / np.maximum(pixels, 1)",  # the mean weight is not 1
            "def fair_weights(pixels): return np.array([10 / 18, 10 / 9, 10 / 3])",
        ],
        "tversky": [
            "def tversky(p, g, alpha, beta): return 2 * (p * g).sum() / (p + g).sum()",  # Dice, whatever is asked for
            "def tversky(p, g, alpha, beta):\n"  # misses and false alarms mixed up
            "    hits = (p * g).sum()\n"
            "    return hits / (hits + beta * (p * (1 - g)).sum() + alpha * ((1 - p) * g).sum())",
            "def tversky(p, g, alpha, beta):\n"  # the loss, not the index
            "    hits = (p * g).sum()\n"
            "    return 1 - hits / (hits + alpha * (p * (1 - g)).sum() + beta * ((1 - p) * g).sum())",
            "def tversky(p, g, alpha, beta): return (p * g).sum() / (p.sum() * alpha + g.sum() * beta)",
        ],
        "hardest": [
            "def hardest(surprise, target, share):\n"  # void counts
            "    s = surprise.flatten()\n"
            "    return s.topk(max(1, round(share * len(s)))).values.mean()",
            "def hardest(surprise, target, share):\n"  # the easiest
            "    s = surprise[target != 255]\n"
            "    return s.sort().values[: max(1, round(share * len(s)))].mean()",
            "def hardest(surprise, target, share):\n"  # NaN when nothing is labelled
            "    s = surprise[target != 255]\n"
            "    return s.topk(round(share * len(s))).values.mean()",
            "def hardest(surprise, target, share): return surprise[target != 255].mean()",
        ],
    },
    "08_training": {
        "schedule": [
            "def schedule(progress, highest, warmup): return highest * (1 - progress) ** 0.9",  # no warm-up
            "def schedule(progress, highest, warmup): return highest * min(progress / warmup, 1)",  # never falls
            "def schedule(progress, highest, warmup):\n"  # a straight line down
            "    return highest * (progress / warmup if progress < warmup else (1 - progress) / (1 - warmup))",
        ],
        "best_epoch": [
            "def best_epoch(history): return history['val_loss'].idxmin()",
            "def best_epoch(history): return history.index[-1]",  # the last one
            "def best_epoch(history): return int(history['miou'].to_numpy().argmax())",  # a position, not an epoch
            "def best_epoch(history): return history.index[history['miou'] == history['miou'].max()][-1]",  # the latest
        ],
    },
    "09_deeplabv3": {
        "reach": [
            "def reach(layers): return 1 + sum((k - 1) * rate for k, _, rate in layers)",  # strides forgotten
            "def reach(layers):\n"  # rates forgotten
            "    side, step = 1, 1\n"
            "    for k, stride, _ in layers:\n"
            "        side, step = side + (k - 1) * step, step * stride\n"
            "    return side",
            "def reach(layers):\n"  # a layer's own stride counts too early
            "    side, step = 1, 1\n"
            "    for k, stride, rate in layers:\n"
            "        step *= stride\n"
            "        side += (k - 1) * rate * step\n"
            "    return side",
            "def reach(layers):\n"  # steps do not multiply
            "    side, step = 1, 1\n"
            "    for k, stride, rate in layers:\n"
            "        side, step = side + (k - 1) * rate * step, stride\n"
            "    return side",
        ],
        "interleaved": [
            "def interleaved(x, weight, rate): return F.conv2d(x, weight, padding=1)",  # no holes
            "def interleaved(x, weight, rate):\n"  # one image of the four, enlarged
            "    one = F.conv2d(x[..., ::rate, ::rate], weight, padding=1)\n"
            "    return F.interpolate(one, x.shape[-2:], mode='nearest')",
            "def interleaved(x, weight, rate):\n"  # only those on the diagonal
            "    out = x.new_zeros(len(x), len(weight), *x.shape[-2:])\n"
            "    for i in range(rate):\n"
            "        out[..., i::rate, i::rate] = F.conv2d(x[..., i::rate, i::rate], weight, padding=1)\n"
            "    return out",
            "def interleaved(x, weight, rate):\n"  # blocks that lie side by side
            "    tiles = [[F.conv2d(c, weight, padding=1) for c in r.chunk(rate, -1)] for r in x.chunk(rate, -2)]\n"
            "    return torch.cat([torch.cat(row, -1) for row in tiles], -2)",
        ],
    },
    "10_lraspp": {
        "as_one": [
            "def as_one(each, mix): return mix * each[:, 0].flip(-1)",  # mirrored
            "def as_one(each, mix): return each[:, 0].expand(len(mix), *each[:, 0].shape)",  # mix forgotten
            "def as_one(each, mix): return mix.expand(*mix.shape[:2], *each.shape[2:])",  # the kernels forgotten
            "def as_one(each, mix): return torch.einsum('cij,oc->coij', each[:, 0], mix[:, :, 0, 0])",  # turned round
            "def as_one(each, mix): return mix * each[:, 0].transpose(-1, -2)",
        ],
        "fold": [
            "def fold(weight, gamma, beta, mean, var, eps):\n"  # no eps
            "    scale = gamma / var.sqrt()\n"
            "    return weight * scale[:, None, None, None], beta - mean * scale",
            "def fold(weight, gamma, beta, mean, var, eps):\n"  # the mean not scaled
            "    scale = gamma / (var + eps).sqrt()\n"
            "    return weight * scale[:, None, None, None], beta - mean",
            "def fold(weight, gamma, beta, mean, var, eps):\n"  # the mean forgotten
            "    return weight * (gamma / (var + eps).sqrt())[:, None, None, None], beta",
            "def fold(weight, gamma, beta, mean, var, eps):\n"  # a variance is no deviation
            "    scale = gamma / (var + eps)\n"
            "    return weight * scale[:, None, None, None], beta - mean * scale",
            "def fold(weight, gamma, beta, mean, var, eps):\n"  # inputs scaled, not answers
            "    scale = gamma / (var + eps).sqrt()\n"
            "    return weight * scale, beta - mean * scale",
        ],
    },
    "11_segformer": {
        "table_bytes": [
            "def table_bytes(height, width, stride, reduction):\n"  # every token looks at every other
            "    return 4 * (height // stride * (width // stride)) ** 2",
            "def table_bytes(height, width, stride, reduction):\n"  # R, where R² become one
            "    return 4 * (height // stride * (width // stride)) ** 2 // reduction",
            "def table_bytes(height, width, stride, reduction):\n"  # numbers, not bytes
            "    return (height // stride * (width // stride)) ** 2 // reduction**2",
            "def table_bytes(height, width, stride, reduction):\n"  # of pixels, not of tokens
            "    return 4 * (height * width // stride) ** 2 // reduction**2",
        ],
        "looked_at": [
            "def looked_at(shares): return (-(shares * shares.log()).sum(dim=-1)).exp()",  # NaN where a share is 0
            "def looked_at(shares): return 1 / shares.square().sum(dim=-1)",  # another way of counting
            "def looked_at(shares): return torch.special.entr(shares).sum(dim=-1)",  # the entropy itself
            "def looked_at(shares): return (shares > 0).sum(dim=-1)",  # all that are looked at a little
            "def looked_at(shares): return torch.special.entr(shares).sum().exp()",  # all rows at once
        ],
    },
    "12_mask2former": {
        "owners": [
            "def owners(p, m): return m.argmax(dim=0)",  # whatever the queries say
            "def owners(p, m): return (m * p[:, :-1].amax(dim=1)[:, None, None]).argmax(dim=0)",  # nobody is silent
            "def owners(p, m):\n"  # 0 where nobody owns a pixel
            "    best, name = p.max(dim=1)\n"
            "    return (m * (best * (name < p.shape[1] - 1))[:, None, None]).argmax(dim=0)",
            "def owners(p, m):\n"  # a threshold that nobody asked for
            "    claims = m * p[:, :-1].amax(dim=1)[:, None, None]\n"
            "    return torch.where(claims.amax(dim=0) > 0.3, claims.argmax(dim=0), -1)",
            "def owners(p, m): return p.argmax(dim=1)[m.argmax(dim=0)]",  # classes, not queries
        ],
        "name_loss": [
            "def name_loss(logits, queries, labels): return F.cross_entropy(logits[queries], labels)",  # no others
            "def name_loss(logits, queries, labels):\n"  # all weigh the same
            "    wanted = torch.full((len(logits),), 11)\n"
            "    wanted[queries] = labels\n"
            "    return F.cross_entropy(logits, wanted)",
            "def name_loss(logits, queries, labels):\n"  # divided by the number of queries
            "    wanted = torch.full((len(logits),), 11)\n"
            "    wanted[queries] = labels\n"
            "    weights = torch.where(wanted == 11, 0.1, 1.0)\n"
            "    return (weights * F.cross_entropy(logits, wanted, reduction='none')).mean()",
            "def name_loss(logits, queries, labels):\n"  # the first queries, whoever was matched
            "    wanted = torch.full((len(logits),), 11)\n"
            "    wanted[: len(labels)] = labels\n"
            "    return F.cross_entropy(logits, wanted, weight=torch.tensor([1.0] * 11 + [0.1]))",
        ],
    },
    "13_compare": {
        "iou_of_moved": [
            "def iou_of_moved(width, shift): return max(width - shift, 0) / width",  # the share that is hit
            "def iou_of_moved(width, shift): return (width - shift) / (width + shift)",  # below 0 when they part
            "def iou_of_moved(width, shift): return max(width - shift, 0) / (2 * width)",  # both counted twice
            "def iou_of_moved(width, shift): return max(width - shift, 0) / (width + 1)",  # a shift of 1 only
            "def iou_of_moved(width, shift):\n"  # Dice
            "    return 2 * max(width - shift, 0) / (2 * width)",
        ],
        "unbeaten": [
            "def unbeaten(quality, price): return quality == quality.max()",  # only the best
            "def unbeaten(quality, price):\n"  # equally good for less does not count
            "    better = quality > quality[:, None]\n"
            "    return ~(better & (price <= price[:, None])).any(axis=1)",
            "def unbeaten(quality, price):\n"  # twins beat each other
            "    beats = (quality >= quality[:, None]) & (price <= price[:, None])\n"
            "    return beats.sum(axis=1) < 2",
            "def unbeaten(quality, price):\n"  # the other way round
            "    as_good, no_more = quality >= quality[:, None], price <= price[:, None]\n"
            "    return ~(as_good & no_more & ((quality > quality[:, None]) | (price < price[:, None]))).any(axis=0)",
            "def unbeaten(quality, price): return quality / price > np.median(quality / price)",  # a ratio decides
            "def unbeaten(quality, price):\n"  # as if they were sorted by price
            "    return quality >= np.maximum.accumulate(quality)",
        ],
    },
    "14_your_own_data": {
        "to_labels": [
            "def to_labels(mask): return (mask > 0).astype(np.uint8)",  # void becomes a car
            "def to_labels(mask): return mask // 255",  # void becomes background
            "def to_labels(mask):\n"  # the car becomes void, and then a car is void
            "    mask = np.where(mask == 128, 255, mask)\n    return np.where(mask == 255, 1, mask).astype(np.uint8)",
            "def to_labels(mask):\n    mask[mask == 255] = 1\n    mask[mask == 128] = 255\n    return mask",  # changed
        ],
        "validation": [
            "def validation(groups, fraction): return [i >= len(groups) * (1 - fraction) for i in range(len(groups))]",
            "def validation(groups, fraction): return [g == max(groups) for g in groups]",  # one group
            "def validation(groups, fraction):\n"  # a fraction of the groups, not of the images
            "    names = sorted(set(groups), reverse=True)\n"
            "    return [g in names[: round(len(names) * fraction)] for g in groups]",
            "def validation(groups, fraction):\n"  # the first groups
            "    chosen = set()\n"
            "    for group in sorted(set(groups)):\n"
            "        if sum(g in chosen for g in groups) < fraction * len(groups):\n"
            "            chosen.add(group)\n"
            "    return [g in chosen for g in groups]",
        ],
    },
    "15_report": {
        "told_apart": [
            "def told_apart(low, high): return low > 0",  # only one way round
            "def told_apart(low, high): return abs(high - low) > 0.02",  # how wide it is
            "def told_apart(low, high): return low * high >= 0 and low > -1",  # in points it changes its mind
            "def told_apart(low, high): return True",
        ],
        "mean_rank": [
            "def mean_rank(values): return pd.DataFrame(values).rank(axis=1).mean().to_numpy()",  # the worst is first
            "def mean_rank(values): return pd.DataFrame(values).rank(ascending=False).mean().to_numpy()",  # columns
            "def mean_rank(values):\n"  # ties by the order of the columns
            "    return pd.DataFrame(values).rank(axis=1, ascending=False, method='first').mean().to_numpy()",
            "def mean_rank(values): return (-values.mean(0)).argsort().argsort() + 1",  # the rank of the mean
        ],
    },
}

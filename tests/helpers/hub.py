"""The servers of torchvision and Hugging Face, in this process, with stand-ins under official names."""

import hashlib
from urllib.parse import urlsplit

from helpers.server import send, whole
from helpers.standins import publish_torchvision, use_hub
from torchvision.models import get_model_weights

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def serve_torchvision(server, monkeypatch, name, body, answer=whole):
    """Serve `body` under the official name of the file, with the hash of `body` in it."""
    publish_torchvision(name, body, monkeypatch, server.base)
    server.routes[urlsplit(get_model_weights(name)["COCO_WITH_VOC_LABELS_V1"].url).path] = answer(body)


def serve_hub(server, monkeypatch, repo, files, revision="main", sent=None):
    """Answer as huggingface.co does: large files are announced with their SHA-256, absent ones with a reason."""
    use_hub(server.base, monkeypatch)
    for file in ("model.safetensors", "pytorch_model.bin", "config.json", "preprocessor_config.json"):
        server.routes[f"/{repo}/resolve/{revision}/{file}"] = hub_answer(files.get(file), sent)


def hub_answer(body, sent=None):
    def answer(handler, before):
        if body is None:
            return send(handler, 404, b"", X_Error_Code="EntryNotFound")
        etag = hashlib.sha256(body).hexdigest() if len(body) > 100_000 else hashlib.sha1(body).hexdigest()
        revision = handler.path.split("/")[-2]
        known = {"ETag": f'"{etag}"', "X_Repo_Commit": COMMIT if revision == "main" else revision}
        return send(handler, 200, body if sent is None or len(body) < 100_000 else sent(body), **known)

    return answer


def requests(server):
    return sum(map(len, server.ranges.values()))


def files_below(folder):
    return [path for path in folder.rglob("*") if path.is_file()]

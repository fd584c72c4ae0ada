"""Data sets: class sets, images, label maps, and where they come from.

classes      `ClassSet` and the table `CLASS_SETS`
palette      class colours, colour-vision deficiency, hatching
translation  from the classes of one vocabulary to those of another
images       any picture → uint8 (3,H,W)
labels       label maps: read, write, translate, and the one check of labels
dataset      `Record`, `Sample`, `SegmentationDataset`
readers      how each known data set lies on disk
catalogue    the table `DATASETS`
loading      `load_dataset`: find, download, verify
transforms   joint augmentation of image and label map; normalisation
toytown/     the embedded data set: street scenes drawn from a seed
"""

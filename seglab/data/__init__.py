"""Data sets: class sets, images, label maps, and the known data sets.

classes      `ClassSet` and the table `CLASS_SETS`
palette      class colours, colour-vision deficiency, stripes
translation  from the classes of one set to those of another
images       an image in any form → uint8 (3,H,W)
labels       label maps: read, write, translate, and the one check of labels
dataset      `Record`, `Sample`, `SegmentationDataset`
readers      the files of each known data set
catalogue    the table `DATASETS`
loading      `load_dataset`: find, download, verify; `DataSelection`
transforms   joint augmentation of image and label map; normalisation
toytown/     the embedded data set: street scenes drawn from a seed
"""

"""Data sets: class sets, images, label maps, and the known data sets.

classes      `ClassSet` and the table `CLASS_SETS`
palette      class colours, colour-vision deficiency, stripes
translation  from the classes of one set to those of another
images       an image in any form → uint8 (3,H,W)
photographs  photographs of scikit-image and matplotlib, for examples
labels       label maps: read, write, translate, and the one check of labels
dataset      `Record`, `Sample`, `SegmentationDataset`
readers      the files of each known data set
derived      data sets that are made from published ones: photographs, nuclei
catalogue    the table `DATASETS`
loading      `load_dataset`: find, download, verify; `DataSelection`
card         `Card`: what dataset.yaml states about your own data
card_values  the value of each key of a card, checked
own          from a card to a data set
splits       splits and groups that a card states
inspection   what a folder holds: the card that is proposed
checking     what was read of a data set, and what looks wrong
objects      the width of objects in label maps
duplicates   images that occur more than once
sheet        a contact sheet
command      `seglab datasets`
formats/     readers of annotation formats
transforms   joint augmentation of image and label map; normalisation
toytown/     the embedded data set: street scenes drawn from a seed
"""

"""Readers and writers of annotation formats. Each reader has `recognise(folder)` and `entries(card)`.

entries        `Entry`, patterns of paths, raw labels → class indices
shapes         polygons and run lengths → label map
findings       what is found about a card, piece by piece
objects        images with objects, as annotation tools list them → entries
tools          `Reader`: the files of an annotation tool, and the card that they suggest
masks          label maps in files: folders, VOC trees, one file per class or object, NumPy, MATLAB
volumes        TIFF stacks and NIfTI volumes
parquet        Hugging Face data sets
pairing        which files are images and which their masks, by folders and names
joining        images and masks by the placeholders of their patterns
tables         class names, colours and values that tools write beside masks
values         the values of masks, counted
meaning        what these values mean: fields of a card, evidence, questions
raw            the values that mask and image files of any kind hold
pixels         images as uint8 (H, W, 3): range, bands, pages, orientation
coco           COCO instances, also as exported by Roboflow and labelme
panoptic       COCO panoptic
labelme        labelme JSON
cvat           CVAT for images 1.1, XML
label_studio   Label Studio JSON
via            VGG Image Annotator JSON
supervisely    Supervisely JSON
yolo           YOLO segmentation
writing        writers of COCO and COCO panoptic
exporting      a data set as a folder that annotation tools open
"""

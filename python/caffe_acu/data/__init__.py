"""Data sets as Caffe reads them: sources -> preprocessing -> padding -> LMDB, in one atomic step.

:mod:`.prepare` does it for CIFAR-10, CIFAR-100 and folders of images, :mod:`.generated` for the project's own images;
:mod:`.download` fetches archives.
"""

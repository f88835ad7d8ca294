"""Large sets of photographs as LMDBs of encoded records: ImageNet, Places365 and folders of one's own.

A source becomes two lists of files (:mod:`.imagenet`, :mod:`.places`, :mod:`.class_folders`); worker processes
turn each file into a record (:mod:`.picture`, :mod:`.record_maker`); :mod:`.build` writes them in order and
can be interrupted at any time; :mod:`.prepare` puts it together.
"""

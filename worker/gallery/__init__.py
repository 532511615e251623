"""The before/after page: one file that needs nothing else."""

from worker.gallery.page import GalleryPhoto, build_gallery

__all__ = ["GalleryPhoto", "build_gallery"]

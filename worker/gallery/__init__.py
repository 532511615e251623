"""The before/after page: one file that needs nothing else, or several for many photos."""

from worker.gallery.card import GalleryPhoto
from worker.gallery.page import Place, build_gallery

__all__ = ["GalleryPhoto", "Place", "build_gallery"]

"""The before/after page: one file that needs nothing else, or several for many photos."""

from worker.gallery.card import GalleryPhoto, made_small
from worker.gallery.page import Place, build_gallery, longest_of

__all__ = ["GalleryPhoto", "Place", "build_gallery", "longest_of", "made_small"]

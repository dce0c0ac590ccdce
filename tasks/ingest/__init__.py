"""Ingestion: any file a lab has becomes a header and blocks of (y, x, band) or (time, channel, y, x) with a mask."""

from tasks.ingest.header import Header, Unreadable
from tasks.ingest.readers import READERS, describe, files_of, is_known, open_source, reader_for
from tasks.ingest.source import Source

__all__ = ["READERS", "Header", "Source", "Unreadable", "describe", "files_of", "is_known", "open_source", "reader_for"]

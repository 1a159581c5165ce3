"""HDF5 files of any writer."""

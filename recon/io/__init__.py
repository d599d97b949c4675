"""Reading and writing of files: acquisitions, volumes, models, networks, tables and meshes, whole or not at all."""

"""The images of the lab. Each module here has `SPECS`; a new module is a new image, nothing else to edit."""

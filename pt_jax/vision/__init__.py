"""The second world: real images. One file a diagnostic, each a pure function of arrays or parameter pytrees."""

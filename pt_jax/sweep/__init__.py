"""The sweep engine: any pure function over a grid of points and seeds. It knows no world."""

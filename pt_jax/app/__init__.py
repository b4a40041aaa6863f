"""Commands and scripts: how a sweep is asked for, carried out and answered."""

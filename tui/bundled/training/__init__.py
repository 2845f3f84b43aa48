"""How the bundled model is made: data from freely licensed drawings, then the training itself.

`python -m tui.bundled.training` runs it; needs the extra `training`. The program itself imports nothing of this.
"""

"""What heads that find boxes give: one row of numbers for each candidate, the same columns whatever the head. No torch.

0:4   left, top, right, bottom of the box, as shares of the picture's width and height
4:6   the place of the map that the candidate stands at, likewise; 0 for candidates that stand nowhere (object queries)
6:8   width and height of a cell of that map; 0 for object queries
8     logit of how well the box fits; 0 for object queries
9:    logits of the labels; of object queries one more at the end, for "nothing"
"""

BOX, PLACE, CELL, QUALITY, LOGITS = slice(0, 4), slice(4, 6), slice(6, 8), 8, 9

# Columns of targets: label; left, top, width, height as shares of the picture; and 1 for boxes that are not to be learnt.
LABEL, TARGET_BOX, IGNORED_BOX = 0, slice(1, 5), 5
FILL = -100.0  # the label of places of the targets that hold no box
UNKNOWN = -1.0  # the label of the one place of a picture that cannot be learnt from

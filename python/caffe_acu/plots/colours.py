"""The colours of figures and drawings. No Matplotlib, which drawings do without."""

# Okabe and Ito's palette, which people with any colour vision can tell apart, in an order that
# keeps neighbours unlike.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31", "#7F7F7F")
GREY = "#b5b5b5"

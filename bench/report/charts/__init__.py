"""Charts: one Altair spec a chart, whatever it is drawn as. Altair is imported only to draw."""

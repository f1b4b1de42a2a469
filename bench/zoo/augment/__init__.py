"""Training inputs varied anew every epoch. Nothing here touches the graph of the model."""

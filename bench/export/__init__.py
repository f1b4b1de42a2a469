"""Model to artifacts. The parent side never imports TensorFlow: the work is done in a child process."""

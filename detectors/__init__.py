"""Floor 3: readings and events become detections."""

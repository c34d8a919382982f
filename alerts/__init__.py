"""Floor 4: detections become alerts, tickets and notices."""

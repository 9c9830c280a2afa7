"""What a later run has to know of earlier ones: consumed, delivered, decided, accounted for."""

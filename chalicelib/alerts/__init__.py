"""Tell people when crashes are new, back, or spiking."""

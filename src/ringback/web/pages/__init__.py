"""The dashboard: one file for each entry of its navigation, and the frame that all pages stand in."""

"""Services to be measured beside Ringback."""

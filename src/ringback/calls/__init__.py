"""What Ringback exists for: taking calls in, finding them again, never losing one."""

"""Files and folders: where they lie, how they are written whole, and what their cards may say."""

"""What keeps an update private: sealing."""

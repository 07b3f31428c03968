"""Where a party's data lies and how it is read. No torch: what data has to be for is the task's to say."""

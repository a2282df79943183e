"""What every part of the package stands on; imports nothing above itself."""

"""Facts shared by the RTL, the driver, the tests and the documentation, each written once."""

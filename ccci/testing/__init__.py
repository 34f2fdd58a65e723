"""What runs inside the test process of a stage."""

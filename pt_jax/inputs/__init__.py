"""What a user gives, in the words of both worlds: hyper-parameters and files."""

"""What is this open-weight model really made of?"""

__version__ = "0.1.0"

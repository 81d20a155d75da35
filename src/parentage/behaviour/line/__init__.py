"""Where on the line between two parents a suspect's next tokens fall, and the loss along that line."""

"""What pretrained networks take and give: tokens, and features of their own."""

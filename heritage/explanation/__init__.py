"""`heritage explain`: saliency maps, and tests of their faithfulness."""

"""What `heritage explain` does: saliency maps, and tests of whether they can be believed."""

"""What is wrong with a pool of made images, for people who have no loop: copies, holes, strange rows, and how much of it is made at all."""

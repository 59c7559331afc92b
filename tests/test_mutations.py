"""Each finding's guard: a deliberately broken laboratory must turn its claim to "not held".

Small worlds, two or three seeds. Each test first sees the claim hold on the sound laboratory, then
breaks one line of minisub, named in `guards`, and sees the claim fail. A break that no claim noticed
would mean that the claim says nothing about it.
"""

"""Speed: `models` builds the versions, `timing` takes turns, `profile` says where the time goes,
`targets` what is to be reached, `report` prints it.
"""

"""Speed: `models` builds the versions, `timing` takes turns, `profile` says where the time goes,
`report` prints it. `memory` computes what a training pass needs.
"""

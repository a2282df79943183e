"""For teachers: mark submissions (`grading`), and hand out notebooks (`release`)."""

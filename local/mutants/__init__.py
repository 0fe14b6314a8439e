"""`make mutants`: change the code that decides, one place at a time, and see whether a test notices.

Why our own: mutmut 3 changes function bodies alone, and skips decorated ones; here much is decided by patterns, limits
and tables at module level, and by properties. cosmic-ray starts one pytest for each mutant: here that takes 4 s.
"""

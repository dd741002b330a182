raise ValueError("half done")

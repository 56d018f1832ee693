"""The frozen network: layout, weights, convolution, rescaling."""

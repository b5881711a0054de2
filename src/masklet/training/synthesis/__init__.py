"""Made-up video from stills: things cut out of pictures move over other pictures, with exact masks."""

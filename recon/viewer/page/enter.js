/** Goes on to the page after the token has become a cookie; the part after # holds the view. */

window.location.replace(`/${window.location.hash}`);

// The token that the person typed, for as long as the tab lives. It goes out as a header alone.

const KEY = "knowngood.token";

export const session = {
  get token() {
    return sessionStorage.getItem(KEY);
  },
  keep(token) {
    sessionStorage.setItem(KEY, token);
  },
  forget() {
    sessionStorage.removeItem(KEY);
  },
};

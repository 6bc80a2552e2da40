package directory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/lock"
)

// Who is known by a number alone gets no address from somebody who comes with that number: they may live together.
func TestANumberDoesNotSayWhoseAnAddressIs(t *testing.T) {
	t.Parallel()
	d, _ := newDirectory(t)
	home, _, err := d.FindOrCreate(t.Context(), "hotel-9", directory.Contact{Phone: "+4930901820"}, hotel)
	require.NoError(t, err)
	_, _, err = d.FindOrCreate(t.Context(), "hotel-9", directory.Contact{Email: "ben@example.org", Phone: "+4930901820"}, hotel)
	requireReason(t, err, lock.Conflict, "contacts-differ")
	again, created, err := d.FindOrCreate(t.Context(), "hotel-9", directory.Contact{Phone: "+49 (0)30 901820"}, hotel)
	require.NoError(t, err)
	require.False(t, created)
	require.Equal(t, home, again)
	ben, created, err := d.FindOrCreate(t.Context(), "hotel-9", directory.Contact{Email: "ben@example.org"}, hotel)
	require.NoError(t, err)
	require.True(t, created)
	require.NotEqual(t, home.ID, ben.ID)

	// A user keeps the first number; another one that nobody has is no reason to refuse them.
	ben, _, err = d.FindOrCreate(t.Context(), "hotel-9", directory.Contact{Email: "ben@example.org", Phone: "+4930901821"}, hotel)
	require.NoError(t, err)
	same, _, err := d.FindOrCreate(t.Context(), "hotel-9", directory.Contact{Email: "ben@example.org", Phone: "+4930901822"}, hotel)
	require.NoError(t, err)
	require.Equal(t, ben, same)
}

func TestTheSameNumberInAnotherForm(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"+49 30 901820", "0049 30 901820", "+49 (0)30 901820", "0049(0)30/901820", "+49-(0)-30.901-820", "+49 (30) 901820", " +4930901820 "} {
		phone, err := directory.NormalPhone(form)
		require.NoError(t, err, form)
		require.Equal(t, "+4930901820", phone, form)
	}
	for _, form := range []string{"(0)30 901820", "+(0)49 30 901820", "+49 30 (0) x"} {
		_, err := directory.NormalPhone(form)
		requireReason(t, err, lock.Invalid, "phone-invalid")
	}
}

// In Italy the 0 belongs to the number, whoever calls.
func TestAZeroOfTheNumberStays(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"+39 06 12345678", "+39 (0)6 12345678", "0039(06)12345678"} {
		phone, err := directory.NormalPhone(form)
		require.NoError(t, err, form)
		require.Equal(t, "+390612345678", phone, form)
	}
}
